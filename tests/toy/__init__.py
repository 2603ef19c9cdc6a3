"""Small processes and models that the tests register or run."""
