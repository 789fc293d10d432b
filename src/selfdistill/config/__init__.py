"""The configuration: read, merged, validated, and cut into the settings of each job. Imports no torch."""
