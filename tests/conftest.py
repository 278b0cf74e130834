"""What holds for all tests: the same examples at every run, however slow the machine."""

from hypothesis import settings

settings.register_profile("calcohort", deadline=None, derandomize=True)
settings.load_profile("calcohort")
