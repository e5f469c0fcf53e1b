"""What a first configuration needs: questions, answers, files, and the documents that grant access."""
