"""What a method must be: the base class, what its hooks are given, and how parts are named and composed."""
