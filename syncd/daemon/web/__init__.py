"""The status port: pages for people, metrics for Prometheus, probes for Kubernetes."""
