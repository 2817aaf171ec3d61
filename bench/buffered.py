"""The app as a Lambda handler under Mangum, which buffers."""

from mangum import Mangum

from bench.app import app

handler = Mangum(app, lifespan="off")
