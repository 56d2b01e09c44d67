"""What stands in the generated blocks of README.md and docs/: a module for each subject, a function
for each block."""
