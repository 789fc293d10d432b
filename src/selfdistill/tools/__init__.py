"""What people use beside the workflow and after it: status, doctor, export, predict. No rule calls its code."""
