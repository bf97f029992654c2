"""The page "Compare": its view is in dashboards.views.compare."""

from dashboards.views.compare import show

show()
