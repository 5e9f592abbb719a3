"""Running a library that reads what strangers sent in a child process, with limits."""
