"""Many runs that differ in named settings."""
