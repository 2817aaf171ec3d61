import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'
import GoldenRetriever from '@uppy/golden-retriever'
import { open } from '../page.js'

open(Uppy, AwsS3, GoldenRetriever, 'endpoint')
