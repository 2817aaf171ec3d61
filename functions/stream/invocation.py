"""What the Lambda invocation that carries a request has left."""

from fastapi import Request


def seconds_left(request: Request) -> float:
    """Without end where no Lambda runtime carries the app."""
    context = request.scope.get("aws.context")
    return context.get_remaining_time_in_millis() / 1000 if context else float("inf")
