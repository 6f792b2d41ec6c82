"""The wire: what a job message may say, what progress and results look like, and on which subjects. No I/O."""
