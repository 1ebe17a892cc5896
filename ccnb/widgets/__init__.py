"""Runs and a panel as widgets: plain JavaScript on anywidget. What is heavy is imported when first used."""
