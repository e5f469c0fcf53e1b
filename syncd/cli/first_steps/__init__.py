"""The files of a first configuration: questions, answers, and the documents that grant access."""
