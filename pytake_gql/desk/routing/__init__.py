"""What moves through queues: waiting, pulling, assigning."""
