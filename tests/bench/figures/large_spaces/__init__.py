"""Files and PostgreSQL, beside SQL that is written by hand."""
