"""What the API takes and answers, as marshmallow schemas: checks and documentation come from these."""
