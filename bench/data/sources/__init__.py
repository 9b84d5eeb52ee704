"""Where pictures come from: folders, archives, databases and arrays, each read through one small interface."""
