"""What a training costs on a GPU before anybody has run it: the work of a step, and the time that the work takes."""
