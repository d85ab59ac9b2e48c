"""What a model answered, read as decisions."""

from apps.agents.domain.answers.decisions import Broken, Read
from apps.agents.domain.answers.reading import Answer, read_answer

__all__ = ["Answer", "Broken", "Read", "read_answer"]
