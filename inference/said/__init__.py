"""What people say: marks, mutes, budgets, and which agents and challengers are judged."""
