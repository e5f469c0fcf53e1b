"""Sessions of access keys that stand in the environment or a file, and calls to STS, without botocore.

Loading botocore, and making its session and its client, is two fifths of an idle tick and 12 MB for each consumer. So such
keys are read here, and STS is asked by the wire that S3 is asked by. Whatever is less plain is left to botocore: all other
providers, settings that might move STS, files that it may find wrong, and a call that is not answered or may pass.
"""
