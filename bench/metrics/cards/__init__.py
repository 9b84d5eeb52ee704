"""The scores of this project: a file for each, or for a family that shares a computation; SCORES lists its cards.

A card file imports its arithmetic inside `compute`: to list, to plan and to print, cards are read without it.
"""
