"""The measures of finished runs that this project has: a file for each family, whose cards its MEASURES lists."""
