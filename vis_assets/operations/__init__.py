"""What the commands run: the local stack, the demo, jobs, maps from files, checks and deletion."""
