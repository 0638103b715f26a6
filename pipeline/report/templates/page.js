// Tables that sort, filter and can be saved; without a script they are plain tables.
(() => {
  'use strict'
  const UNITS = {ns: 1, 'µs': 1e3, ms: 1e6, s: 1e9}
  const FEWEST_TO_FILTER = 8

  // What a cell is sorted by: its first number, times in ns; else its text.
  const key = cell => {
    const text = cell.textContent.trim().replaceAll('\u2212', '-').replaceAll(',', '')
    const found = /^[+-]?\d+(\.\d+)?/.exec(text)
    if (!found) return text
    const unit = text.slice(found[0].length).trim().split(/[\s;(]/)[0]
    return parseFloat(found[0]) * (UNITS[unit] ?? 1)
  }
  const compare = (one, two) => {
    if (typeof one === typeof two) return typeof one === 'number' ? one - two : one.localeCompare(two)
    return typeof one === 'number' ? -1 : 1
  }
  const button = (text, act) => {
    const made = document.createElement('button')
    made.type = 'button'
    made.textContent = text
    made.addEventListener('click', () => act(made))
    return made
  }

  const sortable = table => {
    const bodies = [...table.tBodies]
    const home = bodies.map(body => [...body.rows])
    const rows = home.flat().filter(row => !row.classList.contains('group'))
    if (rows.length < 2) return
    const heads = [...table.tHead.rows[0].cells]
    const restore = () => bodies.forEach((body, place) => body.append(...home[place]))
    const show = (column, order) => {
      heads.forEach((head, place) => {
        if (place === column && order) head.setAttribute('aria-sort', order)
        else head.removeAttribute('aria-sort')
      })
      table.classList.toggle('sorted', Boolean(order))
      restore()
      if (!order) return
      const sign = order === 'ascending' ? 1 : -1
      const ranked = rows.map(row => ({row, value: key(row.cells[column])}))
      // A cell without a number stays last, whichever way numbers are sorted.
      const numbers = ranked.some(each => typeof each.value === 'number')
      ranked.sort((one, two) => typeof one.value === typeof two.value || !numbers
        ? sign * compare(one.value, two.value) : compare(one.value, two.value))
      bodies[0].append(...ranked.map(each => each.row))
    }
    const next = {ascending: 'descending', descending: ''}
    heads.forEach((head, column) => {
      const text = head.textContent
      if (!text.trim()) return
      const sorter = button(text, () => {
        const now = head.getAttribute('aria-sort')
        show(column, now === null ? 'ascending' : next[now])
      })
      sorter.className = 'sorter'
      head.replaceChildren(sorter)
    })
  }

  const filterable = (table, tools) => {
    const rows = [...table.tBodies].flatMap(body => [...body.rows])
    const plain = rows.filter(row => !row.classList.contains('group'))
    if (plain.length < FEWEST_TO_FILTER) return
    const label = document.createElement('label')
    const field = document.createElement('input')
    const said = document.createElement('span')
    field.type = 'search'
    said.setAttribute('role', 'status')
    label.append('Rows with ', field)
    field.addEventListener('input', () => {
      const wanted = field.value.trim().toLowerCase()
      plain.forEach(row => { row.hidden = !row.textContent.toLowerCase().includes(wanted) })
      for (const row of rows) {
        if (row.classList.contains('group')) row.classList.toggle('filtered', Boolean(wanted))
      }
      const shown = plain.filter(row => !row.hidden).length
      said.textContent = wanted ? `${shown} of ${plain.length} rows` : ''
    })
    tools.append(label, said)
  }

  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  const saved = table => {
    const lines = [...table.rows].filter(row => !row.classList.contains('group') && !row.hidden)
      .map(row => [...row.cells].map(cell => quoted(cell.textContent.trim())).join(','))
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], {type: 'text/csv'}))
    link.download = `${table.id}.csv`
    link.click()
    URL.revokeObjectURL(link.href)
  }

  for (const table of document.querySelectorAll('table')) {
    const box = table.closest('.scroll')
    const tools = document.createElement('div')
    tools.className = 'tools'
    filterable(table, tools)
    const save = button('Save as CSV', () => saved(table))
    save.setAttribute('aria-describedby', box.getAttribute('aria-labelledby'))
    tools.append(save)
    box.before(tools)
    sortable(table)
  }
})()
