"""Reports: a notebook executed into a page, or the page of a comparison that has run."""

from ccnb.reports.execute import Report, execute_report
from ccnb.reports.page import comparison_page, from_store

__all__ = ["Report", "comparison_page", "execute_report", "from_store"]
