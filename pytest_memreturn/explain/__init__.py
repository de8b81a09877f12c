"""Examinations that only a test which retained pays for."""
