"""The trainer's admin pages and API: models, reports, the fleet."""
