"""What is made by running something: drawings, tables, output of terminals."""
