"""Run jobs in worker processes that outlive the window."""
