"""Stage 6: table and figures from the logs. Imports no torch."""
