"""Looks for what makes deployments fail, before they do: this machine, the cluster, and what a stack needs of both."""

from airis.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]
