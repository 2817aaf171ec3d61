"""Carries any ASGI app on AWS Lambda response streaming. See README.md beside this package."""
