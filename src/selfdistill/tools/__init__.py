"""What people use beside the workflow and after it: status, doctor, export, predict. Rules use failed and plan."""
