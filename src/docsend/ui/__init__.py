"""What people and scripts see, and what people are asked."""
