"""What ``elite-pipeline doctor`` looks at, a module for each subject, and what it found.

Nothing that stays is written: what is tried is taken back, or could not take effect from the beginning.
What does not belong here: how findings are shown (``doctor_command``), and mending what they name.
"""

from elite_pipeline.doctor.examination import Examined, examine
from elite_pipeline.doctor.findings import Finding, State

__all__ = ["Examined", "Finding", "State", "examine"]
