"""The page "Drift": its view is in dashboards.views.drift."""

from dashboards.views.drift import show

show()
