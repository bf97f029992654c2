"""The page "Verdict": its view is in dashboards.views.verdict."""

from dashboards.views.verdict import show

show()
