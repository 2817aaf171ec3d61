"""The values of secrets, from Secrets Manager by way of Powertools' cache.

IAM action: secretsmanager:GetSecretValue.
"""

from aws_lambda_powertools.utilities import parameters

from sluice.settings import Setting

CACHE_SECONDS = 300  # a replaced secret counts, and the old one ends, at most so long after


def read(setting: Setting[str]) -> str:
    """The value of the secret that a setting names."""
    return parameters.get_secret(setting.read(), max_age=CACHE_SECONDS)
