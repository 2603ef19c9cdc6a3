"""One single-point engine a package."""
