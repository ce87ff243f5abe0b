"""The programs of Kubernetes on this machine: downloaded or built, verified, and cached."""
