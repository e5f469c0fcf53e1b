"""The state folder: private files and folders in it, locks, and a try of what can be done there."""
