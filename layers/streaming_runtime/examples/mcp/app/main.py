import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings

server = MCPServer("counter")


@server.tool()
async def count(to: int, ctx: Context, pause: float = 1) -> str:
    """Count up to a number, and report each."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
        await anyio.sleep(pause)
    return f"counted to {to}"


app = server.streamable_http_app(
    stateless_http=True,  # the next request may meet another environment
    # It is for servers on a person's own machine, and knows no Function URL by name.
    transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
)
