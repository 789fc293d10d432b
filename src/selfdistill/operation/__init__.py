"""What a person does beside the workflow: watch it, clean up after it, ask the machine what it can do."""
