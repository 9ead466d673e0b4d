"""`python -m agents.demo`: the event hub with servers, a worker and a live view, and nothing left behind."""
