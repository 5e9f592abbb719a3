"""What is sent, for whom, and what came back: values without input or output."""
