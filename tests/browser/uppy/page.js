// What a page of somebody else's does with Uppy. Its URL says how, so that a reloaded page does the same:
// endpoint, and if wanted multipart (true or false), chunk (bytes), limit, sized, folder, retriever.

const asked = new URLSearchParams(location.search)

export function open(Uppy, AwsS3, GoldenRetriever, endpoint) {
  const uppy = new Uppy({ id: 'page' })
  const options = { [endpoint]: asked.get('endpoint') }
  if (asked.has('multipart')) options.shouldUseMultipart = asked.get('multipart') === 'true'
  if (asked.has('chunk')) options.getChunkSize = () => Number(asked.get('chunk'))
  if (asked.has('limit')) options.limit = Number(asked.get('limit'))
  uppy.use(AwsS3, options)
  if (asked.has('sized')) uppy.on('file-added', (file) => uppy.setFileMeta(file.id, { size: file.size }))

  const happened = []
  for (const event of ['complete', 'restored', 'upload-error']) uppy.on(event, () => happened.push(event))
  if (asked.has('retriever')) {
    uppy.use(GoldenRetriever, { indexedDB: { maxFileSize: 2 ** 30, maxTotalSize: 2 ** 31 } })
  }
  if (asked.has('pause')) {
    uppy.once('s3-multipart:part-uploaded', () => {
      uppy.pauseAll()
      happened.push('paused')
    })
  }
  if (asked.has('cancel')) {
    uppy.once('s3-multipart:part-uploaded', () => {
      uppy.cancelAll()
      happened.push('cancelled')
    })
  }

  document.querySelector('input').addEventListener('change', (chosen) => {
    for (const file of chosen.target.files) {
      // As Uppy's Dashboard tells it of a folder that was dropped upon it, and null of a single file.
      const relativePath = asked.has('folder') ? `${asked.get('folder')}/${file.name}` : null
      uppy.addFile({ name: file.name, type: file.type, data: file, meta: { relativePath, caption: 'Ü & 雪' } })
    }
  })
  Object.assign(window, { uppy, happened, upload, results, stored })

  function upload() {
    uppy.upload().catch((error) => happened.push(String(error)))
  }
}

/** What Uppy says of each file: its name, the body of the last answer, the error. */
function results() {
  return window.uppy.getFiles().map((file) => ({
    name: file.name,
    body: file.response?.body ?? null,
    error: file.error ?? null,
  }))
}

/** When the browser keeps both the file's bytes and where its upload is; Uppy writes half a second late. */
async function stored() {
  while (!(await keeps())) await new Promise((resolve) => setTimeout(resolve, 50))
}

async function keeps() {
  const [file] = window.uppy.getFiles()
  const { uploadId } = file.s3Multipart ?? {}
  if (!uploadId) return false
  const kept = Object.values(localStorage)
  let bytes = false
  for (const { name } of await indexedDB.databases()) {
    const database = await finished(indexedDB.open(name))
    for (const store of database.objectStoreNames) {
      for (const value of await finished(database.transaction(store).objectStore(store).getAll())) {
        kept.push(JSON.stringify(value))
        bytes ||= value.data instanceof Blob && value.data.size === file.size
      }
    }
    database.close()
  }
  return bytes && kept.some((text) => text.includes(uploadId))
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
