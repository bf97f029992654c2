"""The page "Cost": its view is in dashboards.views.cost."""

from dashboards.views.cost import show

show()
