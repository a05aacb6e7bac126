"""Jobs being done: one worker, one child process a job, its orders and its limits."""
