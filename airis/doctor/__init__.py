"""Finds what makes a deployment fail, before it does: on this machine, in the cluster, and in what a stack needs of both."""

from airis.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]
